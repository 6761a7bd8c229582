import { describe, expect, test } from 'vitest'
import { publicKeyOf } from '../bytes/signature.ts'
import { ConsensusKey } from '../driver/consensus-key.ts'
import { PRESENCES_MAX, PresencesType, SignedPresenceType } from '../types/signer-presence.ts'
import { SignerAnnouncer } from './signer-announcer.ts'
import { SignerBoard } from './signer-board.ts'

const CHAIN = new Uint8Array(32).fill(7)
const KEY = new Uint8Array(32).fill(3)
const OTHER_KEY = new Uint8Array(32).fill(4)

function world() {
  const clock = { nowMs: 1_000_000 }
  const nowMs = () => clock.nowMs
  const boards = new Map<string, SignerBoard>()
  for (const name of ['p', 'q']) {
    boards.set(name, new SignerBoard({ chainId: CHAIN, isValidator: () => true, nowMs }))
  }
  const process = (instance: number, more: { key?: Uint8Array; peers?: string[] } = {}) => {
    const heard: string[] = []
    const announcer = new SignerAnnouncer({
      chainId: CHAIN,
      consensusKey: new ConsensusKey(more.key ?? KEY),
      instance: new Uint8Array(32).fill(instance),
      nowMs,
      peers: () => more.peers ?? ['p', 'q'],
      tell: async (peer, presence) => {
        const board = boards.get(peer)
        if (!board) throw new Error('not connected')
        return board.tell(presence)
      },
      onTwin: () => heard.push('stop'),
      onYounger: () => heard.push('younger'),
    })
    return { announcer, heard }
  }
  const pass = (ms: number) => {
    clock.nowMs += ms
  }
  return { process, pass, boards }
}

/** Both tell their peers, and once more. */
async function twoRounds(...announcers: SignerAnnouncer[]): Promise<void> {
  for (let i = 0; i < 2; i++) for (const announcer of announcers) await announcer.round()
}

describe('two processes with one key', () => {
  test('learn of each other from any peer they share, and the later one stops', async () => {
    const { process, pass } = world()
    const first = process(9)
    await first.announcer.round()
    pass(10)
    const second = process(1, { peers: ['gone', 'q'] })
    pass(10)
    await twoRounds(first.announcer, second.announcer)
    expect(new Set(first.heard)).toEqual(new Set(['younger']))
    expect(new Set(second.heard)).toEqual(new Set(['stop']))
  })

  test('started in the same millisecond, exactly one of them stops', async () => {
    const { process, pass } = world()
    const [one, two] = [process(1), process(2)]
    pass(5)
    await twoRounds(one.announcer, two.announcer)
    expect([new Set(one.heard), new Set(two.heard)]).toEqual([
      new Set(['younger']),
      new Set(['stop']),
    ])
  })

  test('what a process said before another one started is no sign of life', async () => {
    const { process, pass } = world()
    const gone = process(1)
    pass(5)
    await gone.announcer.round()
    pass(5)
    const next = process(2)
    pass(5)
    await twoRounds(next.announcer)
    expect(next.heard).toEqual([])
  })

  test('with different keys have nothing to do with each other', async () => {
    const { process, pass } = world()
    const [one, two] = [process(1), process(2, { key: OTHER_KEY })]
    pass(5)
    await twoRounds(one.announcer, two.announcer)
    expect([one.heard, two.heard]).toEqual([[], []])
  })
})

describe('a board', () => {
  const signed = async (instance: number, key = KEY) => {
    const { process, pass, boards } = world()
    let seen = new Uint8Array(0)
    boards.set('p', {
      tell: (bytes: Uint8Array) => {
        seen = Uint8Array.from(bytes)
        return PresencesType.serialize([])
      },
    } as SignerBoard)
    const { announcer } = process(instance, { key, peers: ['p'] })
    pass(1)
    await announcer.round()
    return seen
  }
  const board = (isValidator = true) => {
    let now = 0
    const made = new SignerBoard({
      chainId: CHAIN,
      isValidator: () => isValidator,
      nowMs: () => now,
    })
    return {
      tell: (bytes: Uint8Array) => PresencesType.deserialize(made.tell(bytes)),
      to: (ms: number) => {
        now = ms
      },
    }
  }

  test('notes only what the key itself signed', async () => {
    const { tell } = board()
    const one = await signed(1)
    for (let at = 0; at < one.length; at++) {
      const changed = Uint8Array.from(one)
      changed[at] = (changed[at] as number) ^ 1
      tell(changed)
    }
    tell(new Uint8Array(9))
    expect(tell(await signed(2))).toEqual([])
    const stranger = board(false)
    stranger.tell(one)
    expect(stranger.tell(await signed(2))).toEqual([])
  })

  test('forgets who says nothing more, and keeps a few of a key', async () => {
    const { tell, to } = board()
    tell(await signed(1))
    expect(tell(await signed(2))).toHaveLength(1)
    for (let instance = 3; instance < 20; instance++) tell(await signed(instance))
    expect(tell(await signed(2)).length).toBeLessThan(PRESENCES_MAX)
    expect(tell(await signed(1, OTHER_KEY))).toEqual([])
    to(10 * 60_000)
    expect(tell(await signed(30))).toEqual([])
  })

  test('sent again by somebody, an old presence makes nobody younger', async () => {
    const { tell, to } = board()
    const one = await signed(1)
    tell(one)
    to(50_000)
    tell(one)
    to(70_000)
    expect(tell(await signed(2))).toEqual([])
    expect(SignedPresenceType.deserialize(one).presence.publicKey).toEqual(publicKeyOf(KEY))
  })
})
