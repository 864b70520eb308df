"""The answer of a study on one page: values of its runs, figures of them, HTML of both."""
