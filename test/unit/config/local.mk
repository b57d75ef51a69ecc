# no tests of config yet
