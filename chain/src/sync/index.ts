export * from './block-sync.ts'
export * from './epoch-proofs.ts'
export * from './sync-messages.ts'
export * from './sync-server.ts'
