export * from './install-native-crypto.ts'
export * from './signature-threads.ts'
