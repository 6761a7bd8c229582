export * from './transaction-pool.ts'
