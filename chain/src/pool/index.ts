export * from './peer-budgets.ts'
export * from './pool-limits.ts'
export * from './transaction-pool.ts'
export * from './waiting.ts'
