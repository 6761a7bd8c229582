export * from './genesis-file.ts'
