import pc from 'picocolors'
import type { Output } from '../output/output.ts'
import type { Progress } from '../output/progress.ts'

/** How the story is shown while it goes on. */
export interface StoryTeller {
  chapter(title: string): void
  progress(done: number, total: number, note: string): void
  /** The chapter's outcome in one line. */
  done(outcome: string): void
}

/** Chapters with a bar on a terminal, plain lines elsewhere, nothing with --json. */
export function createStoryTeller(output: Output): StoryTeller {
  let bar: Progress | undefined
  let number = 0
  let shown = ''
  const end = () => {
    bar?.stop()
    bar = undefined
  }
  return {
    chapter(title) {
      end()
      output.note(`${pc.bold(`${++number}.`)} ${title}`)
      shown = ''
    },
    progress(done, total, note) {
      if (note !== shown) {
        end()
        shown = note
        bar = output.progress(`   ${note}`, total, total > 100_000 ? 'bytes' : 'count')
      }
      bar?.update(done)
    },
    done(outcome) {
      end()
      output.note(`   ${pc.green('done')} ${outcome}`)
    },
  }
}
