import type { Reporter, TestModule } from 'vitest/node'

/** Prints the line that CI reads: the last line of a run counts its tests. */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state]++
    }
    const { passed, failed, skipped } = counts
    // Other reporters write their summary first: the closing line must be the last one.
    process.once('exit', () => {
      process.stdout.write(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`)
    })
  }
}
