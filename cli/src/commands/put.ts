import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { readAddressArgument } from '../address-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { formatIoex } from '../output/amount.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { epochsOf, readEpochCount } from '../output/epoch-count.ts'
import { transferBar } from '../storage/transfer-progress.ts'

export interface PutOptions {
  readonly name?: string
  readonly dataShards?: number
  readonly totalShards?: number
  readonly term: string
  readonly region?: readonly string[]
  readonly notAsn?: readonly number[]
  readonly pot?: bigint
  readonly delegate?: string
  readonly trustDelegate?: boolean
  readonly delegateFee: bigint
}

/** Backs a file up, with its progress shown. */
export async function put(
  context: CommandContext,
  file: string,
  options: PutOptions,
): Promise<void> {
  const source = resolve(context.io.folder, file)
  const info = await stat(source)
  if (!info.isFile()) throw new CommandError('NOT_A_FILE', `${source} is not a file`)
  const redundancy = redundancyOf(options)
  const term = readEpochCount(options.term)
  const delegate =
    options.delegate === undefined ? undefined : readAddressArgument(options.delegate, context)
  if (options.pot === undefined && delegate) throw usageError('give the delegate a --pot')
  const { openStorage } = await import('../storage/open-storage.ts')
  const { client, chain, owner, close } = await openStorage(context)
  const bar = transferBar(context.output)
  const { pot, trustDelegate, delegateFee } = options
  const repair =
    pot === undefined
      ? undefined
      : {
          pot,
          delegate: delegate ?? owner,
          trusted: trustDelegate === true || delegate === undefined,
          delegateFee,
        }
  try {
    const result = await client.put({
      files: [{ source, path: options.name ?? basename(source) }],
      ...(redundancy && { redundancy }),
      termEpochs: epochsOf(term, chain.params),
      tags: { regions: options.region, avoidAsns: options.notAsn },
      repair,
      onProgress: bar.update,
      onLapse: (contracts) => {
        bar.end()
        context.output.note(lapseText(contracts))
      },
    })
    bar.end()
    const json = { ...result, lockedUnits: result.lockedUnits.toString() }
    context.output.result(json, () => {
      const { bytes, n, k, contracts, lockedUnits } = result
      return (
        `Stored ${formatByteSize(bytes)} in ${n} slots, any ${k} restore it: contract ` +
        `${contracts.join(', ')}, ${formatIoex(lockedUnits)} locked`
      )
    })
  } finally {
    bar.end()
    await close()
  }
}

function lapseText(contracts: readonly number[]): string {
  return (
    `Too few peers had their slots of contract ${contracts.join(', ')} before its fill deadline: ` +
    'another one is opened, what it locked comes back.'
  )
}

function redundancyOf({ dataShards: k, totalShards: n }: PutOptions) {
  if (k === undefined && n === undefined) return undefined
  if (k === undefined || n === undefined || k < 1 || n < k) {
    throw usageError('give both --data-shards K and --total-shards N, with 1 <= K <= N')
  }
  return { k, n }
}
