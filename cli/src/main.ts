import process from 'node:process'
import { askSecretly } from './keys/terminal-prompt.ts'
import { reportFailure } from './output/failure.ts'
import { runCommandLine } from './program.ts'

/** The `ioex` command on this process. */
export async function main(): Promise<void> {
  // A reader that has seen enough (`ioex … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  // Nobody reads what is wrong any more; what runs goes on.
  process.stderr.on('error', () => undefined)
  process.on('uncaughtException', (error) => {
    process.exit(reportFailure(error, process, process.argv.includes('--json')))
  })
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    folder: process.cwd(),
    ...(process.stdin.isTTY && {
      prompt: (question: string) => askSecretly(process.stdin, process.stderr, question),
    }),
  })
}

if (import.meta.main) await main()
