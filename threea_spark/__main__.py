"""`python -m threea_spark` is the command line `threea`."""

from threea_spark.cli.main import main

if __name__ == "__main__":
    main()
