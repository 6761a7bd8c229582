export * from './checkpoint-anchorer.ts'
export * from './full-node.ts'
export * from './open-chain.ts'
