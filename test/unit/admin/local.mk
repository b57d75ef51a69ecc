# no tests of admin yet
