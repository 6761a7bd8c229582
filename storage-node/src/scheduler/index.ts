export * from './storage-client.ts'
export * from './remove-file.ts'
export * from './storage-interfaces.ts'
export * from './transfer-progress.ts'
