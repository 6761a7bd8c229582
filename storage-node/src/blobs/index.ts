export * from './blob-error.ts'
export * from './slot-receiver.ts'
export * from './slot-record.ts'
export * from './slot-store.ts'
