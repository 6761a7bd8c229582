export * from './install-native-crypto.ts'
