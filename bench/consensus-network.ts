import { assert, publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import {
  type ConsensusCrypto,
  type ConsensusEffect,
  type ConsensusEvent,
  createMachine,
  type EpochSetup,
  type FinalBlock,
  type MachineState,
  quorumOf,
  startMachine,
  stepMachine,
  type TimerName,
} from '@ioex/chain/consensus'
import { createConsensusCrypto } from '../chain/src/driver/consensus-crypto.ts'
import {
  GENESIS_MS,
  genesisBlock,
  headerWith,
  TIMING,
} from '../chain/src/consensus/testing/machine-bench.ts'

const CHAIN_ID = new Uint8Array(32).fill(7)
/** The epoch outlasts every measurement. */
const LAST_HEIGHT = 1_000_000

/** An event without its time, which is the network's. */
type Untimed<E> = E extends unknown ? Omit<E, 'nowMs'> : never

interface Validator {
  readonly machine: MachineState
  readonly timers: Map<TimerName, { view: number; atMs: number }>
  height: number
}

/**
 * Validators of one process over a network that delivers everything at once, with real
 * signatures. Time stands still while messages wait and then jumps to the next timer.
 */
export class ConsensusNetwork {
  readonly #validators: readonly Validator[]
  /** Votes of a certificate. */
  readonly quorum: number
  readonly #waiting: { to: number; event: Untimed<ConsensusEvent> }[] = []
  #nowMs = GENESIS_MS + 1000
  /** Signature checks of all validators so far. */
  verified = 0
  signed = 0
  /** Hash of the newest committed block, hex. */
  head: FinalBlock['hash'] = ''

  constructor(size: number) {
    const keys = Array.from({ length: size }, (_, i) => sha256(utf8ToBytes(`validator ${i}`)))
    const setup: EpochSetup = {
      epoch: 1,
      validators: keys.map((key) => ({ publicKey: publicKeyOf(key), weight: 1 })),
      previousValidators: [],
      start: genesisBlock(),
      lastHeight: LAST_HEIGHT,
    }
    this.quorum = quorumOf(setup.validators).quorum
    this.#validators = keys.map((key, self) => {
      const crypto = this.#counted(createConsensusCrypto(CHAIN_ID, key))
      const config = { setup, head: setup.start, self, signAbove: 0, timing: TIMING, crypto }
      return { machine: createMachine(config), timers: new Map(), height: 0 }
    })
    for (const [self, { machine }] of this.#validators.entries()) {
      this.#perform(self, startMachine(machine, [], this.#nowMs))
    }
  }

  #counted(crypto: ConsensusCrypto): ConsensusCrypto {
    return {
      ...crypto,
      verify: (statement, publicKey, signature) => {
        this.verified += 1
        return crypto.verify(statement, publicKey, signature)
      },
      sign: (statement) => {
        this.signed += 1
        return crypto.sign(statement)
      },
    }
  }

  /** Lowest height that is final at every validator. */
  get height(): number {
    return Math.min(...this.#validators.map(({ height }) => height))
  }

  /** Runs until so many more blocks are final everywhere. */
  advance(blocks: number): void {
    const goal = this.height + blocks
    while (this.height < goal) {
      const next = this.#waiting.shift()
      if (next) this.#step(next.to, next.event)
      else this.#fireNextTimer()
    }
  }

  #step(to: number, event: Untimed<ConsensusEvent>): void {
    const { machine } = this.#validators[to] as Validator
    this.#perform(to, stepMachine(machine, { ...event, nowMs: this.#nowMs } as ConsensusEvent))
  }

  #fireNextTimer(): void {
    let soonest: { to: number; timer: TimerName; view: number; atMs: number } | undefined
    for (const [to, { timers }] of this.#validators.entries()) {
      for (const [timer, due] of timers) {
        if (!soonest || due.atMs < soonest.atMs) soonest = { to, timer, ...due }
      }
    }
    assert(soonest, 'a network at rest waits for a timer')
    const { to, timer, view, atMs } = soonest
    this.#validators[to]?.timers.delete(timer)
    this.#nowMs = Math.max(this.#nowMs, atMs)
    this.#step(to, { type: 'timer', timer, view })
  }

  #perform(self: number, effects: readonly ConsensusEffect[]): void {
    const validator = this.#validators[self] as Validator
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          break
        case 'broadcast':
          for (let to = 0; to < this.#validators.length; to++) {
            if (to !== self) this.#send(self, to, effect.message)
          }
          break
        case 'sendTo':
          this.#send(self, Number(effect.peer), effect.message)
          break
        case 'setTimer':
          validator.timers.set(effect.timer, { view: effect.view, atMs: effect.atMs })
          break
        case 'validateBlock': {
          const { hash } = effect.block
          this.#waiting.push({
            to: self,
            event: { type: 'blockValidated', hash, verdict: 'valid' },
          })
          break
        }
        case 'buildBlock': {
          const { view } = effect.fields
          const header = headerWith(effect.fields)
          this.#waiting.push({ to: self, event: { type: 'blockBuilt', view, header } })
          break
        }
        case 'commit':
          for (const { header, hash } of effect.blocks) {
            validator.height = header.height
            this.head = hash
          }
          break
        default:
          assert(false, `a network without faults has no ${effect.type}`)
      }
    }
  }

  #send(
    from: number,
    to: number,
    message: Extract<ConsensusEvent, { type: 'message' }>['message'],
  ) {
    this.#waiting.push({ to, event: { type: 'message', from: String(from), message } })
  }
}
