# no wire tests yet
