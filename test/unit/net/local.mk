# no tests of net yet
