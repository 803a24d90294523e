"""Steps from one layout of the ledger to the next."""
