import {
  addressOf,
  buildSumTree,
  bytesToHex,
  publicKeyOf,
  sha256,
  utf8ToBytes,
} from '@ioex/chain/bytes'
import type { NetworkParams } from '@ioex/chain/params'
import { rewardRoot } from '@ioex/chain/rules'
import {
  AnchorReceiptType,
  AnchorState,
  ContractType,
  EpochType,
  ForfeitReceiptType,
  type InventoryEntry,
  NodeRole,
  NodeType,
  NONE,
  PayoutReceiptType,
  RailType,
  type ReceiptBody,
  ReceiptKind,
  RewardReceiptType,
  signTransaction,
  StorageReceiptType,
  type Transaction,
} from '@ioex/chain/types'
import { MemoryLedger } from './memory-ledger.ts'

const secretOf = (name: string) => sha256(utf8ToBytes(name))

/** Who plays in the story, with keys made from their names. */
export const secrets = {
  validators: ['v0', 'v1', 'v2', 'v3'].map(secretOf),
  payer: secretOf('payer'),
  peer: secretOf('peer'),
  bootstrap: secretOf('bootstrap'),
}
export const addresses = {
  payer: addressOf(publicKeyOf(secrets.payer)),
  peer: addressOf(publicKeyOf(secrets.peer)),
  bootstrap: addressOf(publicKeyOf(secrets.bootstrap)),
}
const inventory: InventoryEntry[] = [{ rail: 0, generation: 0, weight: 12_345n }]
/** Root of the peer's inventory, of one entry. */
export const INVENTORY_ROOT = buildSumTree(inventory).root

/**
 * A short history with something for every method: a contract of (1, 2) with one slot filled by
 * the peer, a settlement and a forfeit in epoch 1, its subsidy and an anchor in epoch 2.
 */
export function createLedgerStory(params: NetworkParams): MemoryLedger {
  const ledger = new MemoryLedger({
    params,
    validatorSecrets: secrets.validators,
    genesis: '{"format":"ioex-genesis/1"}',
  })
  ledger.fund(addresses.payer, 1_000_000n)
  addRecords(ledger)
  ledger.append([settlement(), { selector: ReceiptKind.forfeit, value: forfeit() }])
  const rewards = [{ node: addresses.peer, fee: 1000n }]
  ledger.rewards.set(1, rewards)
  while (ledger.status().epoch < 2) ledger.append([])
  ledger.epochRecords.set(1, {
    ...EpochType.defaultValue(),
    beacon: new Uint8Array(32).fill(5),
    beaconHeight: 3,
    fees: 1000n,
    burned: 100n,
    toValidators: 50n,
    emission: 50n,
    minted: 50n,
    rewardRoot: rewardRoot(rewards),
    rewardCount: rewards.length,
    anchorState: AnchorState.submitted,
    anchorMainHeight: 90,
  })
  ledger.globals.lastAnchoredEpoch = 1
  ledger.globals.mainTipHeight = 91
  ledger.append([subsidy(), anchor()])
  return ledger
}

function addRecords(ledger: MemoryLedger): void {
  const node = (secret: Uint8Array, roles: number) => ({
    ...NodeType.defaultValue(),
    owner: addresses.payer,
    payout: addresses.payer,
    nodeKey: publicKeyOf(secret),
    roles,
    pendingEpoch: NONE,
    challenge: NONE,
  })
  ledger.nodeRecords.set(0, node(secrets.bootstrap, NodeRole.bootstrap))
  ledger.nodeRecords.set(1, {
    ...node(secrets.peer, NodeRole.peer),
    P: 1,
    held: 400n,
    inventoryCount: 1,
    inventoryRoot: INVENTORY_ROOT,
    inventoryBytes: 65_536,
    log: [{ epoch: 1, A: 1, P: 1, passed: true }],
  })
  ledger.inventories.set(`1 ${bytesToHex(INVENTORY_ROOT)}`, inventory)
  const end = 100
  ledger.railRecords.set(0, {
    ...RailType.defaultValue(),
    live: true,
    payer: addresses.payer,
    node: 1,
    contract: 0,
    root: new Uint8Array(32).fill(9),
    leaves: 256,
    price: 4_194_304n,
    lockTime: 25_600n,
    end,
    askEpoch: NONE,
    lostEpoch: NONE,
  })
  ledger.contractRecords.set(0, {
    ...ContractType.defaultValue(),
    live: true,
    payer: addresses.payer,
    k: 1,
    n: 2,
    term: end,
    active: true,
    askEpoch: NONE,
    rails: [
      { rail: 0, root: new Uint8Array(32).fill(9), refill: 0 },
      { rail: NONE, root: new Uint8Array(32), refill: 0 },
    ],
  })
}

function settlement(): ReceiptBody {
  const value = {
    ...StorageReceiptType.defaultValue(),
    node: addresses.peer,
    payer: addresses.payer,
    fee: 1000n,
    burned: 100n,
    toValidators: 50n,
    net: 850n,
    held: 425n,
    paid: 425n,
  }
  return { selector: ReceiptKind.storage, value }
}

function forfeit() {
  return { ...ForfeitReceiptType.defaultValue(), node: addresses.peer, epoch: 1, strikes: 1 }
}

function subsidy(): ReceiptBody {
  const terms = { epoch: 1, fee: 1000n, epochFees: 1000n, emission: 50n, amount: 50n }
  const value = { ...RewardReceiptType.defaultValue(), node: addresses.peer, ...terms }
  return { selector: ReceiptKind.reward, value }
}

function anchor(): ReceiptBody {
  const value = { ...AnchorReceiptType.defaultValue(), epoch: 1, mainHeight: 90, validator: 2 }
  return { selector: ReceiptKind.anchor, value }
}

/** What a redeem paid the peer. */
export function payout(paid: bigint): ReceiptBody {
  const terms = { proceeds: paid + 10n, byteFee: 10n, paid }
  const value = { ...PayoutReceiptType.defaultValue(), node: addresses.peer, ...terms }
  return { selector: ReceiptKind.payout, value }
}

/** A signed transfer from the payer to the peer. */
export function transfer(ledger: MemoryLedger, amount: bigint, nonce: number): Transaction {
  const body = {
    sender: publicKeyOf(secrets.payer),
    nonce,
    validUntil: ledger.status().height + 20,
    maxBaseFee: 1n,
    tip: 0n,
    payload: { selector: 0, value: { to: addresses.peer, amount } } as const,
  }
  return signTransaction(body, ledger.chainId, secrets.payer)
}
