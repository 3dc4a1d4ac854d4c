"""Letters: what the Hub's mails say, each a plain function, and the one press that prints them as text and as HTML."""
