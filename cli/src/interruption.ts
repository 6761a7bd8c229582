/**
 * Resolves on the first Ctrl-C, SIGTERM or loss of the terminal from now on, so that what runs
 * can stop in order; a second Ctrl-C ends the process at once.
 */
export function interruption(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const first = (signal: NodeJS.Signals) => {
      process.on('SIGINT', () => process.exit(130))
      resolve(signal)
    }
    process.once('SIGINT', first)
    process.once('SIGTERM', first)
    process.once('SIGHUP', first)
  })
}
