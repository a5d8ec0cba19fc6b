DELETE FROM posts WHERE markdown = 'spam';
