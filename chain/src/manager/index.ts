export * from './chain-manager.ts'
export * from './chain-store.ts'
export * from './history-proofs.ts'
export * from './read-block.ts'
