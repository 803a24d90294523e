"""Classify, associate, plan, run. Knows tasks, never an instrument; the archive is its ledger."""
