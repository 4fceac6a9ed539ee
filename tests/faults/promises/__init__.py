"""Every promise of the API that faults must not break, one module for each subject.

Each check is a function of the facts of a history (facts.py) and yields a sentence for each promise that was broken.
"""
from promises import (blobs, damage, deadlines, events, jobs, leases, models, order, pages, quotas, reads, tenants, wakeups, webhooks)
from promises.facts import Facts

CHECKS = [check for module in (jobs, leases, events, pages, reads, blobs, models, quotas, order, deadlines, wakeups, webhooks, tenants, damage)
          for check in module.CHECKS]

__all__ = ["CHECKS", "Facts"]
