import type { EventEmitter } from 'node:events'
import type { Command } from 'commander'

/**
 * Puts remarks and examples under the help of a verb, and under that of each of its sub-verbs
 * which has none yet the examples that show it. Call it when the sub-verbs are registered.
 */
export function addExamples(verb: Command, text: string): void {
  verb.addHelpText('after', text)
  const examples = text.match(EXAMPLE) ?? []
  for (const inner of verbsBelow(verb)) {
    const shown = examples.filter((example) => example.startsWith(`  $ ioex ${pathOf(inner)}`))
    // Commander keeps help texts as listeners; its types leave out that a verb is an emitter.
    const hasOwn = (inner as Command & EventEmitter).listenerCount('afterHelp') > 0
    if (shown.length === 0 || hasOwn) continue
    inner.addHelpText('after', `\nExample${shown.length > 1 ? 's' : ''}:\n${shown.join('\n')}\n`)
  }
}

/** A command line, with the lines that go on with it. */
const EXAMPLE = /^ {2}\$ .*(\n {6}.*)*/gm

/** All verbs under one, at any depth. */
export function verbsBelow(verb: Command): Command[] {
  return verb.commands.flatMap((inner) => [inner, ...verbsBelow(inner)])
}

/** "wallet send", as one types it after "ioex". */
export function pathOf(verb: Command): string {
  const outer = verb.parent?.parent ? `${pathOf(verb.parent)} ` : ''
  return `${outer}${verb.name()}`
}
