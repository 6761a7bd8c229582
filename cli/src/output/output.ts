import { jsonText } from './json-text.ts'
import { type Progress, startProgress } from './progress.ts'
import { type Column, tableText } from './table.ts'
import type { TextStream } from './text-stream.ts'

export interface OutputStreams {
  readonly stdout: TextStream
  readonly stderr: TextStream
}

/** What a command says: results to stdout, everything else to stderr. */
export interface Output {
  readonly isJson: boolean
  /** The outcome: one JSON document, or the text for people. */
  result(json: unknown, text: () => string): void
  /** A remark for people; nothing with --json. */
  note(text: string): void
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): string
  /** A bar on the terminal; silent with --json or off a terminal. */
  progress(label: string, total: number, unit?: 'bytes' | 'count'): Progress
}

export function createOutput({ stdout, stderr }: OutputStreams, isJson: boolean): Output {
  return {
    isJson,
    result: (json, text) => void stdout.write(`${isJson ? jsonText(json) : text()}\n`),
    note(text) {
      if (!isJson) stderr.write(`${text}\n`)
    },
    table: (columns, rows) => tableText(columns, rows, stdout.isTTY ?? false),
    progress(label, total, unit = 'count') {
      if (isJson) return { update: () => undefined, stop: () => undefined }
      return startProgress({ label, total, unit, stream: stderr })
    },
  }
}
