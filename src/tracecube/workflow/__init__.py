"""Classify, associate, plan, run; knows tasks, never an instrument."""
