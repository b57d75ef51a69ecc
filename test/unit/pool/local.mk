# no tests of pool yet
