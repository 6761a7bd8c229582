export * from './ledger-story.ts'
export * from './memory-ledger.ts'
