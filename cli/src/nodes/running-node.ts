import type { NodeHealth } from '../operate/health-server.ts'

/** A node at work in this process, whatever its role. */
export interface RunningNode {
  /** What a supervisor shows and others need: addresses, keys, URLs. */
  readonly info: Readonly<Record<string, unknown>>
  /** Answers a supervisor's question; rejects with a message for one it does not know. */
  ask(question: string, argument?: unknown): Promise<unknown>
  stop(): Promise<void>
  /** For monitors. */
  readonly health: NodeHealth
  /** Resolves with the reason when its work is done for good, e.g. at its halt epoch. */
  readonly ended?: Promise<string>
  /** Resolves with the reason when it cannot go on, e.g. after a fork: stop, then exit code 1. */
  readonly failed?: Promise<string>
}

export function unknownQuestion(question: string): Error {
  return new Error(`this node does not answer "${question}"`)
}
