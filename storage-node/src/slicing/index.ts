export * from './pack-geometry.ts'
export * from './redundancy.ts'
