export * from './compose-genesis.ts'
export * from './genesis-entry.ts'
export * from './genesis-file.ts'
