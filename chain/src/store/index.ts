export * from './level-store.ts'
export * from './snapshot-database.ts'
