"""`vigie partitions`: as many partitions as the services are to share."""
