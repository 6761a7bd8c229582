export * from './checkpoint-anchorer.ts'
export * from './full-node.ts'
export type { JoinProgress } from './join-network.ts'
export * from './open-chain.ts'
