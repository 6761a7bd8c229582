import type { TransferProgress } from '@ioex/storage-node/scheduler'
import type { Output } from '../output/output.ts'
import type { Progress } from '../output/progress.ts'

/** Shows a transfer as one bar per phase; call `end` in any case. */
export function transferBar(output: Output) {
  let bar: Progress | undefined
  let phase = ''
  return {
    update(progress: TransferProgress): void {
      if (progress.phase !== phase) {
        bar?.stop()
        phase = progress.phase
        bar = output.progress(phase, progress.bytesTotal, 'bytes')
      }
      bar?.update(progress.bytes)
    },
    end(): void {
      bar?.stop()
      bar = undefined
    },
  }
}
