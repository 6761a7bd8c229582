import process from 'node:process'
import { runCommandLine } from './program.ts'

/** The `ioex` command on this process. */
export async function main(): Promise<void> {
  // A reader that has seen enough (`ioex … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    folder: process.cwd(),
  })
}

if (import.meta.main) await main()
