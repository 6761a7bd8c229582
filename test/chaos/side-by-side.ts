import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

/** Runs the same chaos on several networks at once; each line says whose it is. Gives the code. */
export async function runSideBySide(
  args: readonly string[],
  seed: number,
  networks: number,
): Promise<number> {
  // Their supervisors get the Ctrl-C too, and end what they started.
  process.on('SIGINT', () => undefined)
  const codes = await Promise.all(
    Array.from({ length: networks }, (_, i) => runOne(args, seed + i)),
  )
  return Math.max(...codes)
}

async function runOne(args: readonly string[], seed: number): Promise<number> {
  // Of a flag given twice the last one counts.
  const own = [...args, '--networks', '1', '--seed', String(seed)]
  const child = spawn(process.execPath, [MAIN, ...own], { stdio: ['ignore', 'pipe', 'pipe'] })
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const isJson = args.includes('--json')
  const label = `seed ${seed}: `
  void pass(child.stdout, process.stdout, isJson ? '' : label)
  void pass(child.stderr, process.stderr, label)
  const [code] = (await once(child, 'close')) as [number | null]
  return code ?? 1
}

async function pass(from: Readable, to: NodeJS.WritableStream, label: string): Promise<void> {
  for await (const line of createInterface({ input: from })) to.write(`${label}${line}\n`)
}
