# no tests of daemon yet
