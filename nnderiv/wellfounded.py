def check_order(program, text): pass
