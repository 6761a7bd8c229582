/**
 * BIP-32 path of owner keys. 44' is BIP-44, 2305' the coin type of Elastos (SLIP-44); account
 * 20666' keeps our keys apart from those that other Elastos wallets derive from the same words.
 */
export const OWNER_KEY_PATH = "m/44'/2305'/20666'/0"
