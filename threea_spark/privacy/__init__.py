"""Everything that makes the guarantee: noise, mechanisms, accounting, plan, unit of privacy, ledger, statement."""
