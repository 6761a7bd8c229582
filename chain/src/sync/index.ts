export * from './block-sync.ts'
export * from './sync-messages.ts'
