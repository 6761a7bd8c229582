import type { Reporter, TestModule } from 'vitest/node'

/**
 * Prints the line that CI reads: the last line of a run counts its tests. Before it, why tests were
 * skipped, where they say so.
 */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    const reasons = new Map<string, number>()
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result()
        counts[result.state]++
        const reason = result.state === 'skipped' ? result.note : undefined
        if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      }
    }
    const { passed, failed, skipped } = counts
    // Other reporters write their summary first: the closing line must be the last one.
    process.once('exit', () => {
      for (const [reason, tests] of reasons) {
        process.stdout.write(`Skipped: ${tests} because ${reason}\n`)
      }
      process.stdout.write(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`)
    })
  }
}
