import { Presets, SingleBar } from 'cli-progress'
import { formatByteSize } from './byte-size.ts'
import type { TextStream } from './text-stream.ts'

export interface Progress {
  /** Moves to `done` of the total. */
  update(done: number): void
  /** Ends the bar, at the end if the work succeeded. */
  stop(): void
}

export interface ProgressOptions {
  readonly label: string
  readonly total: number
  /** How to show amounts; bytes are shown in human sizes. */
  readonly unit?: 'bytes' | 'count'
  readonly stream: TextStream
}

/** A progress bar on a terminal; silent where the stream is a file or a pipe. */
export function startProgress({ label, total, unit = 'count', stream }: ProgressOptions): Progress {
  if (!stream.isTTY) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar(
    {
      stream,
      hideCursor: true,
      format: `${label} {bar} {percentage}% | {value} of {total} | {eta_formatted}`,
      ...(unit === 'bytes' && {
        formatValue: (value: number, _options: unknown, type: string) =>
          type === 'value' || type === 'total' ? formatByteSize(value) : String(value),
      }),
    },
    Presets.shades_classic,
  )
  bar.start(total, 0)
  return {
    update: (done) => bar.update(Math.min(done, total)),
    stop: () => bar.stop(),
  }
}
