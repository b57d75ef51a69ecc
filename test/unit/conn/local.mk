# no tests of conn yet
