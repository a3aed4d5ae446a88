"""Everything the guarantee rests on: noise, mechanisms, accounting, plan, unit of privacy, ledger, statement."""
