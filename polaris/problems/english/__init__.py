"""Problems and questions in English: made-up word problems, and plain questions that ask for what a model knows."""
