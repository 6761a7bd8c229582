export * from './build-openings.ts'
